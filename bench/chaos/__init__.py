"""Inject faults into real local searches, and check what must hold afterwards."""
