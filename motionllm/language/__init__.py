"""How text and motion become token ids: base models, vocabulary, chat templates, conversations."""
