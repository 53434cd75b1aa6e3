import subprocess
import sys

from jointnet.network.card import DILATION_RATES, Card
from jointnet.network.model import DILATION_RATES as OF_THE_NETWORK


def test_a_card_has_the_networks_own_dilation_rates_by_default():
    assert Card().dilation_rates == DILATION_RATES == OF_THE_NETWORK


def test_a_card_is_read_without_keras():
    code = ("import sys; from jointnet.network.card import PUBLISHED, Card; "
            "print(Card.from_json((PUBLISHED / 'buildings-small.json').read_text()).preset, 'keras' in sys.modules)")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["small", "False"]
