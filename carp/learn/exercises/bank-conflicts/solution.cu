    const unsigned pitch = 33;              // numbers from a row of the tile to the next
