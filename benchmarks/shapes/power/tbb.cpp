// tbb.cpp of power.
#include "config.h"

#include "../stream/tbb.h"
