// tbb.cpp of chain.
#include "config.h"

#include "../stream/tbb.h"
