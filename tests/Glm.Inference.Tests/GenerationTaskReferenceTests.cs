using System.Text.Json;
using Glm.Models;
using Glm.Tensors;
using Glm.Tests;

namespace Glm.Inference.Tests;

/// <summary>Decoding of evaluation prompts, bidirectional and unidirectional, against the original's generation task.</summary>
public sealed class GenerationTaskReferenceTests
{
    [WholeReferenceFact]
    public void DecodesAsTheOriginal()
    {
        var root = JsonDocument.Parse(File.ReadAllText(Path.Combine(TestFiles.Reference, "evaluation", "generation_task.json"))).RootElement;
        int[] endTokens = root.GetProperty("end_tokens").Ints();
        using var workers = new Workers(2);
        var session = GenerationReference.Session(workers);
        int compared = 0;
        foreach (var group in root.GetProperty("groups").EnumerateArray())
        {
            var config = group.GetProperty("config");
            int longest = config.GetProperty("max_gen_length").GetInt32();
            foreach (var (name, strategy) in new (string, DecodingStrategy)[]
            {
                ("greedy", new SamplingStrategy(new SamplingOptions { TopK = 1, EndTokens = endTokens })),
                ("beam", new BeamSearchStrategy(new BeamSearchOptions
                {
                    NumBeams = config.GetProperty("num_beams").GetInt32(),
                    LengthPenalty = config.GetProperty("length_penalty").GetDouble(),
                    NoRepeatNgramSize = config.GetProperty("no_repeat_ngram_size").GetInt32(),
                    MinGenLength = config.GetProperty("min_gen_length").GetInt32(),
                    EndTokens = endTokens,
                })),
            })
                foreach (var (sample, expected) in group.GetProperty("samples").EnumerateArray().Zip(group.GetProperty("outputs").GetProperty(name).EnumerateArray()))
                {
                    var context = Context(session.Model, sample);
                    var result = Decoding.Run(session, strategy, context, longest);
                    Assert.Equal(expected.IntLists(), result.Candidates.Select(candidate => Output(candidate.Ids[context.Ids.Length..], endTokens)));
                    compared++;
                }
        }
        Assert.NotEqual(0, compared);
    }

    private static DecodingContext Context(LanguageModel model, JsonElement sample)
    {
        int[] ids = sample.GetProperty("token").Ints(), positions = sample.GetProperty("position_id").Ints(), targets = sample.GetProperty("target_position_id").Ints();
        int division = sample.GetProperty("attention_mask")[0].GetString()!.Count(seen => seen == '1');
        var context = new DecodingContext(ids, new BlankPlace(division, positions[^1], RunsOn: positions[^1] == ids.Length - 1));
        Assert.Equal(positions.Concat(targets), Enumerable.Range(0, ids.Length + targets.Length).Select(i => model.PositionOf(i, context.Place).Token));
        return context;
    }

    private static int[] Output(int[] generated, int[] endTokens) => generated.Length > 0 && endTokens.Contains(generated[^1]) ? generated[..^1] : generated;
}
