// plain.cpp of power.
#include "config.h"

#include "../stream/plain.h"
