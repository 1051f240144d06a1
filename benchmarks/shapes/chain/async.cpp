// async.cpp of chain.
#include "config.h"

#include "../stream/async.h"
