"""Answer requests with one model: the scoring process.

The interpreter of the model's environment runs this folder (``python FOLDER/__main__.py spec.json``). It imports the
standard library, mlflow and uvicorn, and nothing else of GenOps Lab, so the folder can travel alone.
"""
