#include "model.h"
const struct model_shape order_shapes[] = { { 0 } };
