// mutex.cpp of power.
#include "config.h"

#include "../stream/mutex.h"
