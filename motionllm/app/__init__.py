"""What people use: the chat, the page, prompts and captions by the file, the demo."""
