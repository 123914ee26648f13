"""Model cards in the format of Hugging Face, and bills of materials (CycloneDX), of registered versions."""
