"""Capture inside an unchanged training loop: rows of numbers every few steps, written as they come.

``watching`` counts the steps and hooks the model, ``rows`` turns a recording into rows, ``logs`` writes them,
``alarms`` finds what is wrong in them, ``telling`` shows it, ``tables`` and ``reading`` make a result of the rows.
``tensorboard``, ``wandb`` and ``mlflow`` log to other libraries; ``lightning`` and ``transformers`` are callbacks for
their trainers.
"""
