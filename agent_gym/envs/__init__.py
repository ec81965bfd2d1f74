"""The environments that AgentGym registers."""
