"""What goes on inside networks while they train; nothing of it trains."""
