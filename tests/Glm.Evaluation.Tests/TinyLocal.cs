using Glm.Inference.Tests;
using Glm.Tensors;

namespace Glm.Evaluation.Tests;

/// <summary>The random model of two layers, as evaluation sees it.</summary>
internal static class TinyLocal
{
    public static LocalModel Create(Workers workers) => new(TinyModel.Create(), workers, TinyModel.Tokenizer, new ModelIdentity { Name = "tiny", Location = "tiny" });
}
