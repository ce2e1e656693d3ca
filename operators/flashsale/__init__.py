"""FlashSale: prepares capacity and hands the sale to the sale service, which opens it by its own clock."""
