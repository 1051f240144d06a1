#include "model.h"
const struct model_shape worker_shapes[] = { { 0 } };
