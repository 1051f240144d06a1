// openmp.cpp of chain.
#include "config.h"

#include "../stream/openmp.h"
