// flow.cpp of chain.
#include "config.h"

#include "../stream/flow.h"
