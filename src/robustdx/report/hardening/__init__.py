"""What a training leaves beside its weights: the curve as a picture and a table, a model card, a data card. No torch."""
