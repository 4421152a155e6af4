import numpy as np
import pytest
from some import some

from reference_models.memory import LARGE, LINE, aligned_empty
from reference_models.sigmoid_network import Workspace

DTYPES = [np.float16, np.float32, np.float64, np.longdouble, np.complex128]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(3, 4), (LARGE // 32, 33), (1, LARGE), (LARGE,)])
def test_an_array_is_whole_contiguous_and_large_ones_start_at_a_line(shape, dtype):
    arrays = [aligned_empty(shape, np.dtype(dtype)) for _ in range(5)]
    for i, array in enumerate(arrays):
        array[...] = i
        assert (array.shape, array.dtype) == (shape, np.dtype(dtype))
        assert array.flags.c_contiguous
        assert array.flags.writeable
        assert array.nbytes < LARGE or array.ctypes.data % LINE == 0
    for i, array in enumerate(arrays):
        assert np.all(array == i)  # none lies in another's memory


def test_the_buffers_of_a_workspace_start_at_lines():
    for layer in some(Workspace((200, 300, 200), 100, np.float64).layers):
        assert layer.dW.ctypes.data % LINE == layer.a.ctypes.data % LINE == 0
