// plain.cpp of chain.
#include "config.h"

#include "../stream/plain.h"
