// What keeps weights and state as they are where a number of the step is not finite.
#pragma once

// Whether a guard holds back an update: its first number is not 0. Null: there is none.
__device__ inline bool is_held(const float* guard) { return guard != nullptr && *guard != 0.0f; }
