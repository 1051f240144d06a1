#include "model.h"
const struct model_shape block_shapes[] = { { 0 } };
