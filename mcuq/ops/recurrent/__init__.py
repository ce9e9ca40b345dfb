"""LSTM, GRU and RNN: three cells over one kind of sequence."""
