#include "model.h"
const struct model_shape queue_shapes[] = { { 0 } };
