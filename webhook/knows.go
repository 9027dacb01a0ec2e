package webhook

import "context"

// Knows reports whether there are events of a session.
func (s *Service) Knows(ctx context.Context, sessionID string) (bool, error) {
	if !isToken(sessionID) {
		return false, nil
	}
	last, err := s.lastEvent(ctx, sessionID)
	if err != nil {
		return false, err
	}
	return last.place > 0, nil
}
