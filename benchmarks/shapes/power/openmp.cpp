// openmp.cpp of power.
#include "config.h"

#include "../stream/openmp.h"
