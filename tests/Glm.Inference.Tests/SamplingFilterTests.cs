using System.Text.Json;
using Glm.Formats;

namespace Glm.Inference.Tests;

/// <summary>The filters of sampling against the original's top_k_logits.</summary>
public sealed class SamplingFilterTests
{
    [Fact]
    public void FilterAsTheOriginal()
    {
        var cases = JsonDocument.Parse(File.ReadAllText(Path.Combine(GenerationReference.Folder, "sampling_filters.json"))).RootElement.EnumerateArray().ToArray();
        var tensors = SafetensorsFile.Open(Path.Combine(GenerationReference.Folder, "sampling_filters.safetensors"));
        Assert.NotEmpty(cases);
        foreach (var test in cases)
        {
            float[] Values(string name) => tensors[$"case{test.GetProperty("case").GetInt32()}.{name}"].ToArray();
            float[] logits = Values("logits");
            SamplingStrategy.Filter(logits, new SamplingOptions
            {
                Temperature = test.GetProperty("temperature").GetDouble(),
                TopK = test.GetProperty("top_k").GetInt32(),
                TopP = test.GetProperty("top_p").GetDouble(),
                EndTokens = [],
            });
            Assert.Equal(test.GetProperty("kept").GetInt32(), logits.Count(logit => logit > -65504));
            RequireClose(Values("filtered_logits"), logits);
            double sum = LogitMath.LogSumExp(logits);
            RequireClose(Values("probs"), Array.ConvertAll(logits, logit => (float)Math.Exp(logit - sum)));
        }
    }

    private static void RequireClose(float[] expected, float[] actual)
    {
        Assert.Equal(expected.Length, actual.Length);
        for (int i = 0; i < expected.Length; i++) Assert.Equal(expected[i], actual[i], 1e-5);
    }
}
