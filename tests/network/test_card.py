from jointnet.network.card import DILATION_RATES, Card
from jointnet.network.model import DILATION_RATES as OF_THE_NETWORK


def test_a_card_has_the_networks_own_dilation_rates_by_default():
    assert Card().dilation_rates == DILATION_RATES == OF_THE_NETWORK
