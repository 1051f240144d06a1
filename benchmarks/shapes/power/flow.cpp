// flow.cpp of power.
#include "config.h"

#include "../stream/flow.h"
