using System.Text;
using System.Text.Json.Nodes;

namespace Glm.Tokenizers.Tests;

/// <summary>A <c>tokenizer.json</c> like BLOOM's with every byte and a few merges.</summary>
internal static class TinyBloom
{
    private static readonly string[] Merges = ["a b", "ab ab", "t h", "Ġ th", "Ġth e", "h e", "ä ½", "ä½ ł", "Ġ a"];

    public static JsonObject Json()
    {
        var vocabulary = new JsonObject { ["<unk>"] = 0, ["<s>"] = 1, ["</s>"] = 2, ["<pad>"] = 3 };
        for (int value = 0; value < 256; value++) vocabulary[ByteAlphabet.CharacterOf((byte)value).ToString()] = 4 + value;
        foreach (string merge in Merges) vocabulary[merge.Replace(" ", "")] = vocabulary.Count;
        return new JsonObject
        {
            ["version"] = "1.0",
            ["added_tokens"] = new JsonArray([.. new[] { "<unk>", "<s>", "</s>", "<pad>" }.Select((name, id) => new JsonObject { ["id"] = id, ["content"] = name, ["special"] = true })]),
            ["normalizer"] = null,
            ["pre_tokenizer"] = JsonNode.Parse("""
                {
                  "type": "Sequence",
                  "pretokenizers": [
                    { "type": "Split", "pattern": { "Regex": " ?[^(\\s|[.,!?…。，、।۔،])]+" }, "behavior": "Isolated", "invert": false },
                    { "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false }
                  ]
                }
                """),
            ["model"] = new JsonObject { ["type"] = "BPE", ["vocab"] = vocabulary, ["merges"] = new JsonArray([.. Merges.Select(merge => JsonValue.Create(merge))]) },
        };
    }

    /// <summary>The tokenizer of such an object, as it comes out of a file.</summary>
    public static Tokenizer Load(JsonObject json)
    {
        string folder = Directory.CreateTempSubdirectory().FullName;
        try
        {
            File.WriteAllText(Path.Combine(folder, "tokenizer.json"), json.ToString(), new UTF8Encoding(false));
            return Tokenizer.Load(folder);
        }
        finally { Directory.Delete(folder, recursive: true); }
    }
}
