import pytest
import torch
from torch import nn

from faceswap_core.models import conv as module
from faceswap_core.models.conv import Conv


@pytest.fixture
def products(monkeypatch):
    """How often a product was taken, of convolutions of any width."""
    taken = []
    apply = module._Product.apply
    monkeypatch.setattr(module, "_MANY_CHANNELS", 1)
    monkeypatch.setattr(module._Product, "apply", lambda *given: taken.append(1) or apply(*given))
    return taken


def passed(conv, x, *, bfloat16):
    """Output and gradients of input, weight and bias for one and the same upstream gradient."""
    x = x.clone().requires_grad_()
    conv.zero_grad()
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        out = conv(x)
    upstream = torch.randn(out.shape, generator=torch.Generator().manual_seed(1))
    out.float().backward(upstream)
    bias = [] if conv.bias is None else [conv.bias.grad]
    return [t.float().clone() for t in (out.detach(), x.grad, conv.weight.grad, *bias)]


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(
    ("side", "kernel", "stride", "padding", "bias"),
    [(8, 5, 2, 2, True), (4, 3, 1, 1, True), (7, 5, 2, 2, True), (6, 3, 1, 0, False)],
)
def test_product_is_the_convolution_and_so_are_its_gradients(products, layout, side, kernel, stride, padding, bias):
    torch.manual_seed(0)
    conv = Conv(12, 10, kernel, stride=stride, padding=padding, bias=bias).to(memory_format=layout)
    x = torch.randn(3, 12, side, side).to(memory_format=layout)
    wanted = passed(conv, x, bfloat16=False)
    assert not products
    made = passed(conv, x, bfloat16=True)
    assert len(products) == 1
    for one, other in zip(made, wanted, strict=True):
        assert one.shape == other.shape
        assert float((one - other).norm() / other.norm()) < 0.01  # bfloat16 keeps 8 bits


def test_without_training_or_with_a_large_output_it_is_torchs_own(products):
    conv = Conv(4, 4, 3, padding=1)
    passed(conv, torch.randn(1, 4, 8, 8), bfloat16=True)
    passed(conv.eval(), torch.randn(1, 4, 4, 4), bfloat16=True)
    assert not products


def test_few_channels_are_torchs_own_and_states_are_shared_with_it(monkeypatch):
    monkeypatch.setattr(module._Product, "apply", lambda *given: pytest.fail("a product was taken"))
    conv, plain = Conv(16, 4, 3, padding=1), nn.Conv2d(16, 4, 3, padding=1)
    plain.load_state_dict(conv.state_dict())
    x = torch.randn(2, 16, 4, 4)
    for one, other in zip(passed(conv, x, bfloat16=True), passed(plain, x, bfloat16=True), strict=True):
        assert torch.equal(one, other)
