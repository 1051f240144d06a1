#include "model.h"
const struct model_shape reclaim_shapes[] = { { 0 } };
