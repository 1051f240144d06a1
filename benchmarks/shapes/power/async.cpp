// async.cpp of power.
#include "config.h"

#include "../stream/async.h"
