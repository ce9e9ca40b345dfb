"""Plain kernels of dense layers that store no zeros, or few bits a weight."""
