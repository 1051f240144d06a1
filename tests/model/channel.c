#include "model.h"
const struct model_shape channel_shapes[] = { { 0 } };
