package hazard

// Most is how many polls a second a curve makes where it makes the most.
func (c *Curve) Most() float64 {
	most := 0.0
	for bin := range bins {
		most = max(most, c.density(bin))
	}
	return most
}
