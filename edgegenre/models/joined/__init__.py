"""Networks side by side under one dense layer, and where its regression starts."""
