#include "model.h"
const struct model_shape waitlist_shapes[] = { { 0 } };
