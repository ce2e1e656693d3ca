"""The operators: level-triggered control loops for Channel, LiveStream and FlashSale."""
