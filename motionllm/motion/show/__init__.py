"""Motion for the eye: pictures, pages, the terminal."""
