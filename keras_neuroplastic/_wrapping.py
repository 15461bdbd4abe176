"""An optimizer around another one, which goes on doing what it does itself."""

from keras_neuroplastic import _averages, _inner, _variables
from keras_neuroplastic._base import PlasticityOptimizer
from keras_neuroplastic._copied import rate_apart
from keras_neuroplastic._sparse import is_sparse


class WrappingOptimizer(PlasticityOptimizer):
    """Traces of its own, and the inner optimizer for all else.

    A subclass says in `step_around` what becomes of the inner optimizer's step.
    """

    def __init__(self, optimizer, name):
        inner = _inner.accept(optimizer)
        super().__init__(learning_rate=0.0, name=name)
        self.inner_optimizer = inner

    def build(self, variables):
        inner = self.inner_optimizer
        _inner.refuse_taken(inner)
        if inner.built:
            _inner.refuse_other_variables(inner, variables)
        super().build(variables)
        if not inner.built:
            inner.build(variables)
        # Where it would move variables, after clipping, accumulation and decay.
        inner._backend_update_step = self.step_around

    def _build_on(self, variables):
        # No averages and accumulators, which the inner optimizer has. Keras would take
        # variables that are set as an attribute for slots.
        keys = [self._var_key(variable) for variable in variables]
        vars(self)["_trainable_variables"] = list(variables)
        vars(self)["_trainable_variables_indices"] = {k: i for i, k in enumerate(keys)}
        self.built = True

    def apply(self, grads, trainable_variables=None):
        """Updates variables, by default those that the optimizer was built on."""
        if trainable_variables is not None:
            trainable_variables = _variables.as_list(trainable_variables)
            if not self.built:
                self.build(trainable_variables)
        elif self.built and len(grads) == len(self._trainable_variables):
            trainable_variables = self._trainable_variables
        if trainable_variables is not None and len(grads):
            _variables.check_counts(grads, trainable_variables)
            grads = [
                g if g is None or is_sparse(g) else _variables.gradient(g, v)
                for g, v in zip(grads, trainable_variables, strict=True)
            ]
        self.inner_optimizer.apply(grads, trainable_variables)

    for _name in _inner.DELEGATED:
        locals()[_name] = _inner.delegated(_name)
    del _name

    @property
    def iterations(self):
        """The number of updates that the inner optimizer has made."""
        return self.inner_optimizer.iterations

    @property
    def traces(self):
        """The variables that the inner optimizer has not.

        Keras's count and learning rate come first, and idle: they cannot be taken out,
        for tf.train.Checkpoint refuses an optimizer whose list of variables shrank.
        """
        return self._variables[2:]

    @property
    def variables(self):
        """Those of the inner optimizer, then the traces."""
        return self.inner_optimizer.variables + self.traces

    def scale_loss(self, loss):
        return self.inner_optimizer.scale_loss(loss)

    def exclude_from_weight_decay(self, var_list=None, var_names=None):
        self.inner_optimizer.exclude_from_weight_decay(var_list, var_names)

    def finalize_variable_values(self, var_list):
        inner = self.inner_optimizer
        if self.use_ema:
            _averages.overwrite(inner, var_list, inner.finalize_variable_values)
        else:
            inner.finalize_variable_values(var_list)

    # State and configuration

    def set_weights(self, weights):
        count = len(self.inner_optimizer.variables)
        self.inner_optimizer.set_weights(weights[:count])
        values, traces = weights[count:], self.traces
        if not values:  # of one that was not built, around one that was
            return
        if len(values) == len(traces) - 2:  # those of one that is not watched
            traces = self._saved()
        elif len(values) == len(traces) + 2:  # of one that is, unlike this one
            values = values[:-2]
        for trace, value in zip(traces, values, strict=True):
            trace.assign(value)

    def _saved(self):
        """The traces; Keras keeps the inner optimizer beside them."""
        return self._without_statistics(self.traces)

    def get_config(self):
        inner = _inner.serialize(self.inner_optimizer)
        return {"name": self.name, "optimizer": inner, **self.own_config()}

    def _config_of_copy(self):
        with rate_apart(self.inner_optimizer) as rate:
            config = self.get_config()
        if rate is not None:
            config["optimizer"]["config"]["learning_rate"] = rate
        return config

    @classmethod
    def from_config(cls, config, custom_objects=None):
        if "optimizer" not in config:  # of a name alone, as in compile(optimizer=name)
            raise TypeError(
                f"`optimizer` is missing, around which {cls.__name__} is: write "
                f'{cls.__name__}("adam"). Received: config={config!r}'
            )
        inner = _inner.accept(config["optimizer"], custom_objects)
        return super().from_config({**config, "optimizer": inner}, custom_objects)
