    unsigned first = threadIdx.x;           // the thread's first number in its block
    unsigned step = 64;                     // from one of its numbers to the next
