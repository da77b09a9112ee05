from hypothesis import given
from hypothesis import strategies as st

from trivium.models.catalogue import catalogue
from trivium.models.hardware import Gpu, Hardware
from trivium.models.recommend import recommend

GB = 1_000_000_000
H100 = Gpu("NVIDIA H100", 80 * GB, 79 * GB)


def fits(hardware: Hardware) -> dict[str, str]:
    return {item.entry.name: item.fit for item in recommend(hardware)}


def test_a_large_gpu_takes_the_largest_model_whole() -> None:
    found = recommend(Hardware(16, 128 * GB, 120 * GB, (H100,)))
    assert {item.fit for item in found} == {"gpu"}
    assert found[0].entry.parameters == max(e.entry.parameters for e in found)
    assert "fits the 79.0 GB free on NVIDIA H100 whole" in found[0].reason


def test_a_small_gpu_shares_large_models_with_main_memory() -> None:
    card = Gpu("Tesla T4", 16 * GB, 8 * GB)
    machine = Hardware(8, 32 * GB, 30 * GB, (card,))
    found = fits(machine)
    assert found["qwen3-8b"] == "gpu"
    assert found["qwen3-32b"] == "gpu-part"
    reason = next(i.reason for i in recommend(machine) if i.entry.name == "qwen3-32b")
    assert "about 33% on Tesla T4, the rest in main memory" in reason


def test_a_small_machine_without_a_gpu() -> None:
    machine = Hardware(2, 4 * GB, 3 * GB)
    found = recommend(machine)
    by_name = fits(machine)
    assert by_name["qwen3-8b"] == "too-large"
    assert by_name["smollm2-135m"] == "cpu"
    assert found[0].entry.name == "gemma-2-2b"
    assert "needs 6.0 GB, and 3.0 GB is free" in [i.reason for i in found]


def test_what_fits_but_crawls_comes_after_what_does_not() -> None:
    found = recommend(Hardware(2, 64 * GB, 60 * GB))
    names = [item.entry.name for item in found]
    assert names.index("smollm2-135m") < names.index("qwen3-32b")
    slow = next(item for item in found if item.entry.name == "qwen3-32b")
    assert slow.reason.endswith("but is slow on 2 cores")


@given(
    memory=st.integers(0, 256 * GB),
    cards=st.lists(st.integers(0, 80 * GB), max_size=4),
    cores=st.integers(1, 128),
)
def test_every_chat_model_is_judged_once_and_what_fits_comes_first(
    memory: int, cards: list[int], cores: int
) -> None:
    gpus = tuple(Gpu("card", free, free) for free in cards)
    found = recommend(Hardware(cores, memory, memory, gpus))
    chat = {entry.name for entry in catalogue().values() if entry.kind == "chat"}
    assert sorted(item.entry.name for item in found) == sorted(chat)
    assert [item.fits for item in found] == sorted((i.fits for i in found), reverse=True)
    assert all(i.entry.memory <= memory + sum(cards) for i in found if i.fits)
