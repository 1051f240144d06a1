#include "model.h"
const struct model_shape pool_shapes[] = { { 0 } };
