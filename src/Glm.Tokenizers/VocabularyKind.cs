namespace Glm.Tokenizers;

/// <summary>Whose vocabulary it is: what its text rules and special tokens are.</summary>
public enum VocabularyKind
{
    /// <summary>Trained by Glm.NET.</summary>
    GlmNet,
    /// <summary>GLM-130B (icetk).</summary>
    Glm130B,
    /// <summary>ChatGLM-6B.</summary>
    ChatGlm,
    /// <summary>ChatGLM2-6B and ChatGLM2-6B-32k.</summary>
    ChatGlm2,
    /// <summary>ChatGLM3-6B and ChatGLM3-6B-32k.</summary>
    ChatGlm3,
    /// <summary>GLM-4.</summary>
    Glm4,
    /// <summary>GLM-10B and GLM-2B: GPT-2's with added tokens.</summary>
    GlmGpt2,
    /// <summary>GLM-RoBERTa-Large: RoBERTa's with added tokens.</summary>
    GlmRoberta,
    /// <summary>GLM-Base and GLM-Large: BERT's, uncased, with added tokens.</summary>
    GlmBert,
    /// <summary>GLM-10B-Chinese and GLM-Large-Chinese.</summary>
    GlmChinese,
    /// <summary>OPT.</summary>
    Opt,
    /// <summary>BLOOM.</summary>
    Bloom,
}
