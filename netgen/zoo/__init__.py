"""The zoo: every detector that the papers print or their authors released, one file per paper."""
