#include "model.h"
const struct model_shape task_shapes[] = { { 0 } };
