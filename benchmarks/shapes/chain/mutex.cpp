// mutex.cpp of chain.
#include "config.h"

#include "../stream/mutex.h"
